// Google's Node.js client against Tapetum: the offline batch, and all that goes with it.
//
//     node client.js --server 127.0.0.1:8080 --transport grpc batch sync
//
// Transports: grpc, fallback (REST). Each command prints one line of JSON; without a command, all
// run. The photographs and pages.pdf are expected in gs://photos and the results go to gs://results:
// folders of these names under tapetum-data/buckets. Results are read with Google's storage client,
// which finds the server through STORAGE_EMULATOR_HOST; without that variable it is set to the server.

'use strict';

const {parseArgs} = require('node:util');
const {googleAuthLibrary, grpc} = require('google-gax');
const {Storage} = require('@google-cloud/storage');
const {ImageAnnotatorClient} = require('@google-cloud/vision').v1;

const FEATURES = [{type: 'LABEL_DETECTION', maxResults: 5}, {type: 'IMAGE_PROPERTIES'}];

// With TLS, address and key are all there is to give (or the address alone, where
// GOOGLE_APPLICATION_CREDENTIALS names a key file); what follows makes a client without both.
function connect(server, transport) {
  const [apiEndpoint, port] = server.split(':');
  const address = {apiEndpoint, port: Number(port)};
  const apiKey = process.env.TAPETUM_API_KEY;
  if (apiKey) {
    return new ImageAnnotatorClient({...address, apiKey, fallback: transport !== 'grpc'});
  }
  if (transport === 'grpc') {
    return new ImageAnnotatorClient({...address, sslCreds: grpc.credentials.createInsecure()});
  }
  // The class must be the one google-gax itself uses; other copies are of other versions.
  const authClient = new googleAuthLibrary.PassThroughClient();
  return new ImageAnnotatorClient({...address, fallback: true, protocol: 'http', authClient});
}

const images = (...names) =>
  names.map(name => ({
    image: {source: {imageUri: `gs://photos/${name}`}},
    features: FEATURES,
  }));

const output = (prefix, batchSize = 2) => ({
  gcsDestination: {uri: `gs://results/${prefix}`},
  batchSize,
});

const PAGES = {
  inputConfig: {gcsSource: {uri: 'gs://photos/pages.pdf'}, mimeType: 'application/pdf'},
  features: [{type: 'DOCUMENT_TEXT_DETECTION'}],
};

// What is to be read on each page, by its number.
const texts = pages =>
  Object.fromEntries(
    pages.map(page => [page.context.pageNumber, page.fullTextAnnotation.text.trim()])
  );

// The files under a prefix of gs://results: name → BatchAnnotateImagesResponse, or
// AnnotateFileResponse.
async function results(prefix) {
  const [files] = await new Storage({projectId: 'local'}).bucket('results').getFiles({prefix});
  const read = {};
  for (const file of files) {
    const [content] = await file.download();
    read[file.name.slice(prefix.length)] = JSON.parse(content);
  }
  return read;
}

// The commands. Each answers what is worth printing.
class Commands {
  constructor(client, transport) {
    this.client = client;
    this.prefix = `node-${transport}`;
  }

  async begin(name, ...names) {
    const [operation] = await this.client.asyncBatchAnnotateImages({
      requests: images(...names),
      outputConfig: output(`${this.prefix}/${name}/`),
    });
    return operation;
  }

  // The documented program: start, wait, read the results from the bucket.
  async batch() {
    const operation = await this.begin('batch', 'cat.jpg', 'dog.jpg', 'coffee.jpg');
    const [response] = await operation.promise();
    const prefix = response.outputConfig.gcsDestination.uri.replace('gs://results/', '');
    const files = await results(prefix);
    const answers = Object.values(files).flatMap(file => file.responses);
    return {
      files: Object.keys(files),
      labels: answers.map(answer => answer.labelAnnotations[0].description),
      state: operation.metadata.state,
    };
  }

  // At most 16 images, answered at once.
  async sync() {
    const [{responses: [response]}] = await this.client.batchAnnotateImages({
      requests: images('cat.jpg'),
    });
    const {colors} = response.imagePropertiesAnnotation.dominantColors;
    return {label: response.labelAnnotations[0].description, colours: colors.length};
  }

  // All pages of a PDF, two to a file of the results.
  async files_batch() {
    const prefix = `${this.prefix}/files/`;
    const [operation] = await this.client.asyncBatchAnnotateFiles({
      requests: [{...PAGES, outputConfig: output(prefix)}],
    });
    await operation.promise();
    const files = await results(prefix);
    const pages = Object.values(files).flatMap(file => file.responses);
    return {files: Object.keys(files), texts: texts(pages)};
  }

  // At most five pages of one PDF, answered at once: here the last one and the first.
  async files() {
    const [{responses: [file]}] = await this.client.batchAnnotateFiles({
      requests: [{...PAGES, pages: [-1, 1]}],
    });
    return {pages: file.totalPages, texts: texts(file.responses)};
  }

  // An image that is not there is an error in its place; the batch is done all the same.
  async failing() {
    const operation = await this.begin('failing', 'cat.jpg', 'missing.jpg');
    await operation.promise();
    const [file] = Object.values(await results(`${this.prefix}/failing/`));
    return {
      codes: file.responses.map(answer => answer.error?.code ?? 0),
      message: file.responses[1].error.message,
    };
  }

  // An output that cannot be written is the operation's error.
  async unwritable() {
    const [operation] = await this.client.asyncBatchAnnotateImages({
      requests: images('cat.jpg'),
      outputConfig: {gcsDestination: {uri: 'gs://no-such-bucket/x/'}},
    });
    return refused(operation.promise());
  }

  // Cancelling ends the operation with error code 1.
  async cancel() {
    const operation = await this.begin('cancel', ...Array(2000).fill('cat.jpg'));
    await operation.cancel();
    return refused(operation.promise());
  }

  // The operations of a project, the newest first.
  async list() {
    const {name} = await this.start();
    for await (const one of this.client.listOperationsAsync({name: 'projects/local'})) {
      if (one.name === name) return {listed: true};
    }
    return {listed: false};
  }

  // A deleted operation is forgotten.
  async delete() {
    const operation = await this.begin('delete', 'cat.jpg');
    await operation.promise();
    await this.client.deleteOperation({name: operation.name});
    const {code} = await refused(this.client.getOperation({name: operation.name}));
    return {found: code === undefined};
  }

  // An operation that never was.
  unknown() {
    const name = 'projects/local/operations/0000000000000000';
    return refused(this.client.checkAsyncBatchAnnotateImagesProgress(name));
  }

  // More than 2000 images are refused, and the error says so.
  too_many() {
    return refused(this.begin('many', ...Array(2001).fill('cat.jpg')));
  }

  // Start and go away: the name is all there is to keep.
  async start() {
    return {name: (await this.begin('start', 'cat.jpg', 'dog.jpg')).name};
  }

  // Over REST, Google's client throws before it sends anything: it knows no path for these calls.
  async cannot() {
    const name = 'projects/local/operations/0000000000000000';
    return {
      cancel: (await refused(this.client.cancelOperation({name}))).message,
      delete: (await refused(this.client.deleteOperation({name}))).message,
      list: (await refused(this.list())).message,
    };
  }

  // Take up an operation by its name, in another process.
  async attach(name) {
    const operation = await this.client.checkAsyncBatchAnnotateImagesProgress(name);
    const [response] = await operation.promise();
    return {uri: response.outputConfig.gcsDestination.uri};
  }
}

async function refused(call) {
  try {
    await call;
    return {};
  } catch (error) {
    return {code: error.code, message: error.message};
  }
}

async function main() {
  const {values, positionals} = parseArgs({
    allowPositionals: true,
    options: {
      server: {type: 'string', default: '127.0.0.1:8080'},
      transport: {type: 'string', default: 'grpc'},
      attach: {type: 'string'}, // take up the operation of this name, nothing else
    },
  });
  process.env.STORAGE_EMULATOR_HOST ??= `http://${values.server}`;
  const client = connect(values.server, values.transport);
  const commands = new Commands(client, values.transport);
  const print = (command, said) => console.log(JSON.stringify({command, ...said}));
  if (values.attach) {
    print('attach', await commands.attach(values.attach));
  } else {
    const everywhere = [
      'batch', 'sync', 'files_batch', 'files', 'failing', 'unwritable', 'unknown', 'too_many', 'start',
    ];
    const more = values.transport === 'grpc' ? ['cancel', 'list', 'delete'] : ['cannot'];
    for (const name of positionals.length ? positionals : [...everywhere, ...more]) {
      print(name, await commands[name]());
    }
  }
  await client.close();
}

main();
