// Writes events as the bus takes them. Standard input: a line for each event, its type, a tab, and the event as JSON
// with plain values. Standard output: for each its value in hexadecimal.
// Arguments: a folder with `<event type>.avsc`, as `safebus schemas show` prints them; then, for each type, its name, `=`
// and what its values begin with, as `safebus schemas` prints it.

// shown: begins
// npm install avsc@5.7.9
const avro = require('avsc');
const fs = require('fs');

function schema(file) {
  return avro.Type.forSchema(JSON.parse(fs.readFileSync(file, 'utf8')));
}

// begins: from `safebus schemas`, as `c30198c73cdcb9494936`; avsc works out no such fingerprint.
function value(schema, begins, event) {
  return Buffer.concat([Buffer.from(begins, 'hex'), schema.toBuffer(event)]);
}
// shown: ends

const [folder, ...heads] = process.argv.slice(2);
const types = new Map(
  heads.map((each) => each.split('=')).map(([type, begins]) => [type, [schema(`${folder}/${type}.avsc`), begins]])
);
const said = [];
for (const line of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const tab = line.indexOf('\t');
  const [schemaOfIt, begins] = types.get(line.slice(0, tab));
  said.push(value(schemaOfIt, begins, JSON.parse(line.slice(tab + 1))).toString('hex'));
}
fs.writeSync(1, said.join('\n') + '\n');
