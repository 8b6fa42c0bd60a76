// Writes events as the bus takes them. Standard input: a line for each event, its type, a tab, and the event as Avro's
// JSON encoding. Standard output: for each a line of values in hexadecimal, one for each encoder that Java has.
// Argument: a folder with `<event type>.avsc`, as `safebus schemas show` prints them.

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.message.BinaryMessageEncoder;

public class Publish {
  // shown: begins
  // Maven: org.apache.avro:avro:1.12.2
  static Schema schema(Path file) throws IOException {
    return new Schema.Parser().parse(file.toFile());
  }

  static byte[] value(Schema schema, GenericRecord event) throws IOException {
    // Writes C3 01, the fingerprint of the schema, and the event.
    ByteBuffer value = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), schema).encode(event);
    byte[] bytes = new byte[value.remaining()];
    value.get(bytes);
    return bytes;
  }
  // shown: ends

  static byte[] body(Schema schema, GenericRecord event, BinaryEncoder encoder, ByteArrayOutputStream out)
      throws IOException {
    new GenericDatumWriter<GenericRecord>(schema).write(event, encoder);
    encoder.flush();
    return out.toByteArray();
  }

  public static void main(String[] args) throws IOException {
    EncoderFactory small = new EncoderFactory().configureBlockSize(64);
    Map<String, Schema> schemas = new HashMap<>();
    PrintStream said = new PrintStream(System.out, false, StandardCharsets.US_ASCII);
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String type = line.substring(0, line.indexOf('\t'));
      if (!schemas.containsKey(type)) {
        schemas.put(type, schema(Path.of(args[0], type + ".avsc")));
      }
      Schema schema = schemas.get(type);
      String json = line.substring(line.indexOf('\t') + 1);
      GenericRecord event =
          new GenericDatumReader<GenericRecord>(schema).read(null, DecoderFactory.get().jsonDecoder(schema, json));
      byte[] value = value(schema, event);
      String values = HexFormat.of().formatHex(value);
      String head = values.substring(0, 20);
      ByteArrayOutputStream direct = new ByteArrayOutputStream();
      ByteArrayOutputStream blocking = new ByteArrayOutputStream();
      ByteArrayOutputStream blockingDirect = new ByteArrayOutputStream();
      for (byte[] body : List.of(
          body(schema, event, EncoderFactory.get().directBinaryEncoder(direct, null), direct),
          body(schema, event, small.blockingBinaryEncoder(blocking, null), blocking),
          body(schema, event, small.blockingDirectBinaryEncoder(blockingDirect, null), blockingDirect))) {
        values += " " + head + HexFormat.of().formatHex(body);
      }
      said.println(values);
    }
    said.flush();
  }
}
