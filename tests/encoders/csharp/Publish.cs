// Writes events as the bus takes them. Standard input: a line for each event, its type, a tab, and the event as JSON
// with plain values. Standard output: for each its value in hexadecimal.
// Argument: a folder with `<event type>.avsc`, as `safebus schemas show` prints them.
//
// NuGet is not reached where the tests run, so what this writes is kept in `recorded.jsonl`. It was made with the generic
// part of Apache.Avro (apache/avro 87212a6d47 of 2026-08-07, lang/csharp/src/apache/main without CodeGen, File, Reflect,
// Specific, Protocol and the JSON and parsing encoders), Mono 6.8 and Newtonsoft.Json 6 of Debian 12:
//     mcs -langversion:latest -target:library -out:Avro.dll -r:Newtonsoft.Json.dll -r:System.Numerics.dll ...
//     mcs -langversion:latest -out:Publish.exe -r:Avro.dll -r:Newtonsoft.Json.dll Publish.cs
//     PYTHONPATH=tests/schemas python tests/encoders/record.py tests/encoders/csharp/recorded.jsonl mono Publish.exe
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Avro;
using Avro.Generic;
using Avro.IO;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

static class Publish
{
    // shown: begins
    // dotnet add package Apache.Avro
    static byte[] Value(Schema schema, GenericRecord @event)
    {
        using (var value = new MemoryStream())
        {
            value.WriteByte(0xC3);
            value.WriteByte(0x01);
            byte[] fingerprint = SchemaNormalization.ParsingFingerprint("CRC-64-AVRO", schema);
            value.Write(fingerprint, 0, fingerprint.Length);
            new GenericDatumWriter<GenericRecord>(schema).Write(@event, new BinaryEncoder(value));
            return value.ToArray();
        }
    }
    // shown: ends

    static readonly DateTime First = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);

    static object Native(Schema schema, JToken plain)
    {
        var record = schema as RecordSchema;
        if (record != null)
        {
            var made = new GenericRecord(record);
            foreach (var field in record.Fields) made.Add(field.Name, Native(field.Schema, plain[field.Name]));
            return made;
        }
        var array = schema as ArraySchema;
        if (array != null) return plain.Select(item => Native(array.ItemSchema, item)).ToArray();
        var union = schema as UnionSchema;
        if (union != null) return plain.Type == JTokenType.Null ? null : Native(union.Schemas[1], plain);
        var symbols = schema as EnumSchema;
        if (symbols != null) return new GenericEnum(symbols, (string)plain);
        var logical = schema as LogicalSchema;
        if (logical != null)
            return logical.LogicalTypeName == "date" ? First.AddDays((long)plain) : First.AddMilliseconds((long)plain);
        switch (schema.Tag)
        {
            case Schema.Type.Int: return (int)plain;
            case Schema.Type.Long: return (long)plain;
            case Schema.Type.Boolean: return (bool)plain;
            default: return (string)plain;
        }
    }

    static void Main(string[] args)
    {
        var schemas = new Dictionary<string, Schema>();
        var settings = new JsonSerializerSettings { DateParseHandling = DateParseHandling.None };
        var lines = new StreamReader(Console.OpenStandardInput(), new System.Text.UTF8Encoding(false));
        string line;
        while ((line = lines.ReadLine()) != null)
        {
            int tab = line.IndexOf('\t');
            string type = line.Substring(0, tab);
            if (!schemas.ContainsKey(type))
                schemas[type] = Schema.Parse(File.ReadAllText(Path.Combine(args[0], type + ".avsc")));
            var plain = JsonConvert.DeserializeObject<JObject>(line.Substring(tab + 1), settings);
            var value = Value(schemas[type], (GenericRecord)Native(schemas[type], plain));
            Console.WriteLine(BitConverter.ToString(value).Replace("-", "").ToLower());
        }
    }
}
