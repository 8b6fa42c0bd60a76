// Writes events as the bus takes them. Standard input: a line for each event, its type, a tab, and the event as JSON
// with plain values. Standard output: for each a line of values in hexadecimal: as hamba/avro writes by itself, with
// lists in blocks of two, and without the number of bytes of each block.
// Arguments: a folder with `<event type>.avsc`, as `safebus schemas show` prints them; then, for each type, its name, `=`
// and what its values begin with, as `safebus schemas` prints it.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hamba/avro/v2"
)

// shown: begins
// go get github.com/hamba/avro/v2@v2.31.0
func schemaOf(file string) (avro.Schema, error) {
	return avro.ParseFiles(file)
}

// begins: from `safebus schemas`, as `c30198c73cdcb9494936`. The package soe works out another one, because it counts
// logical types.
func value(schema avro.Schema, begins string, event any) ([]byte, error) {
	head, err := hex.DecodeString(begins)
	if err != nil {
		return nil, err
	}
	body, err := api.Marshal(schema, event)
	return append(head, body...), err
}

var api = avro.DefaultConfig

// shown: ends

func main() {
	apis := []avro.API{
		avro.DefaultConfig,
		avro.Config{BlockLength: 2}.Freeze(),
		avro.Config{DisableBlockSizeHeader: true}.Freeze(),
	}
	heads := map[string]string{}
	schemas := map[string]avro.Schema{}
	for _, each := range os.Args[2:] {
		eventType, begins, _ := strings.Cut(each, "=")
		schema, err := schemaOf(filepath.Join(os.Args[1], eventType+".avsc"))
		must(err)
		heads[eventType], schemas[eventType] = begins, schema
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	said := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		eventType, text, _ := strings.Cut(lines.Text(), "\t")
		numbers := json.NewDecoder(strings.NewReader(text))
		numbers.UseNumber()
		var plain any
		must(numbers.Decode(&plain))
		event := native(schemas[eventType], plain)
		for n, each := range apis {
			api = each
			bytes, err := value(schemas[eventType], heads[eventType], event)
			must(err)
			if n > 0 {
				fmt.Fprint(said, " ")
			}
			fmt.Fprint(said, hex.EncodeToString(bytes))
		}
		fmt.Fprintln(said)
	}
	must(lines.Err())
	must(said.Flush())
}

// native turns what JSON has into what hamba/avro takes for values without a type of their own.
func native(schema avro.Schema, plain any) any {
	switch s := schema.(type) {
	case *avro.RefSchema:
		return native(s.Schema(), plain)
	case *avro.RecordSchema:
		record := map[string]any{}
		for _, field := range s.Fields() {
			record[field.Name()] = native(field.Type(), plain.(map[string]any)[field.Name()])
		}
		return record
	case *avro.ArraySchema:
		list := []any{}
		for _, item := range plain.([]any) {
			list = append(list, native(s.Items(), item))
		}
		return list
	case *avro.UnionSchema:
		if plain == nil {
			return nil
		}
		branch := s.Types()[1]
		return map[string]any{nameOf(branch): native(branch, plain)}
	}
	number, isNumber := plain.(json.Number)
	if !isNumber {
		return plain
	}
	whole, err := number.Int64()
	must(err)
	if schema.Type() == avro.Int {
		return int(whole)
	}
	return whole
}

func nameOf(schema avro.Schema) string {
	switch s := schema.(type) {
	case *avro.RefSchema:
		return s.Schema().FullName()
	case avro.NamedSchema:
		return s.FullName()
	case *avro.PrimitiveSchema:
		if s.Logical() != nil {
			return string(s.Type()) + "." + string(s.Logical().Type())
		}
	}
	return string(schema.Type())
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
