import com.google.api.gax.core.NoCredentialsProvider;
import com.google.api.gax.httpjson.InstantiatingHttpJsonChannelProvider;
import com.google.api.gax.longrunning.OperationFuture;
import com.google.api.gax.rpc.ApiException;
import com.google.cloud.NoCredentials;
import com.google.cloud.storage.Blob;
import com.google.cloud.storage.Storage;
import com.google.cloud.storage.StorageOptions;
import com.google.cloud.vision.v1.AnnotateFileRequest;
import com.google.cloud.vision.v1.AnnotateFileResponse;
import com.google.cloud.vision.v1.AnnotateImageRequest;
import com.google.cloud.vision.v1.AnnotateImageResponse;
import com.google.cloud.vision.v1.AsyncAnnotateFileRequest;
import com.google.cloud.vision.v1.AsyncBatchAnnotateImagesRequest;
import com.google.cloud.vision.v1.AsyncBatchAnnotateImagesResponse;
import com.google.cloud.vision.v1.BatchAnnotateImagesResponse;
import com.google.cloud.vision.v1.Feature;
import com.google.cloud.vision.v1.GcsDestination;
import com.google.cloud.vision.v1.GcsSource;
import com.google.cloud.vision.v1.Image;
import com.google.cloud.vision.v1.ImageAnnotatorClient;
import com.google.cloud.vision.v1.ImageAnnotatorSettings;
import com.google.cloud.vision.v1.ImageSource;
import com.google.cloud.vision.v1.InputConfig;
import com.google.cloud.vision.v1.OperationMetadata;
import com.google.cloud.vision.v1.OutputConfig;
import com.google.gson.Gson;
import com.google.longrunning.ListOperationsRequest;
import com.google.longrunning.Operation;
import com.google.protobuf.Duration;
import com.google.protobuf.Message;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.JsonFormat;
import com.google.protobuf.util.Timestamps;
import io.grpc.ManagedChannelBuilder;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;

/**
 * Google's Java client against Tapetum: the offline batch, and all that goes with it.
 *
 * <pre>
 *     mvn package
 *     java -cp "target/classes:target/dependency/*" Client 127.0.0.1:8080 grpc batch sync
 * </pre>
 *
 * Transports: grpc, httpjson (REST). Each command prints one line of JSON; without a command, all
 * run; {@code attach NAME} takes up an operation. The photographs and pages.pdf are expected in
 * gs://photos and the results go to gs://results: folders of these names under
 * tapetum-data/buckets. Results are read with Google's storage client.
 */
public class Client {
  static final List<String> COMMANDS =
      List.of("batch", "sync", "files_batch", "files", "quick", "failing", "unwritable", "cancel",
          "list", "delete", "unknown", "too_many", "start");

  static final InputConfig PAGES =
      InputConfig.newBuilder()
          .setGcsSource(GcsSource.newBuilder().setUri("gs://photos/pages.pdf"))
          .setMimeType("application/pdf")
          .build();
  static final Feature TEXT =
      Feature.newBuilder().setType(Feature.Type.DOCUMENT_TEXT_DETECTION).build();

  final ImageAnnotatorClient client;
  final Storage storage;
  final String prefix;
  final boolean grpc;

  Client(String server, String transport) throws Exception {
    grpc = transport.equals("grpc");
    String key = System.getenv("TAPETUM_API_KEY");
    if (key != null) {
      client = withKey(server, key, grpc);
    } else {
      client = grpc ? overGrpc(server) : overRest(server);
    }
    storage = // unlike Python's and Node.js's, it does not look at STORAGE_EMULATOR_HOST
        StorageOptions.newBuilder()
            .setHost("http://" + server)
            .setProjectId("local")
            .setCredentials(NoCredentials.getInstance())
            .build()
            .getService();
    prefix = "java-" + transport;
  }

  /**
   * With TLS, address and key are all there is to give (or the address alone, where
   * GOOGLE_APPLICATION_CREDENTIALS names a key file).
   */
  static ImageAnnotatorClient withKey(String server, String key, boolean grpc) throws Exception {
    ImageAnnotatorSettings.Builder settings =
        grpc ? ImageAnnotatorSettings.newBuilder() : ImageAnnotatorSettings.newHttpJsonBuilder();
    return ImageAnnotatorClient.create(settings.setEndpoint(server).setApiKey(key).build());
  }

  /** A client without TLS and credentials. */
  static ImageAnnotatorClient overGrpc(String server) throws Exception {
    return ImageAnnotatorClient.create(
        ImageAnnotatorSettings.newBuilder()
            .setEndpoint(server)
            .setCredentialsProvider(NoCredentialsProvider.create())
            .setTransportChannelProvider(
                ImageAnnotatorSettings.defaultGrpcTransportProviderBuilder()
                    .setChannelConfigurator(ManagedChannelBuilder::usePlaintext)
                    .build())
            .build());
  }

  static ImageAnnotatorClient overRest(String server) throws Exception {
    InstantiatingHttpJsonChannelProvider channel =
        ImageAnnotatorSettings.defaultHttpJsonTransportProviderBuilder()
            .setEndpoint("http://" + server)
            .build();
    return ImageAnnotatorClient.create(
        ImageAnnotatorSettings.newHttpJsonBuilder()
            .setCredentialsProvider(NoCredentialsProvider.create())
            .setTransportChannelProvider(channel)
            .build());
  }

  static AnnotateImageRequest image(String name) {
    ImageSource source = ImageSource.newBuilder().setImageUri("gs://photos/" + name).build();
    return AnnotateImageRequest.newBuilder()
        .setImage(Image.newBuilder().setSource(source))
        .addFeatures(Feature.newBuilder().setType(Feature.Type.LABEL_DETECTION).setMaxResults(5))
        .addFeatures(Feature.newBuilder().setType(Feature.Type.IMAGE_PROPERTIES))
        .build();
  }

  static List<AnnotateImageRequest> images(String... names) {
    List<AnnotateImageRequest> requests = new ArrayList<>();
    for (String name : names) {
      requests.add(image(name));
    }
    return requests;
  }

  static OutputConfig output(String destination) {
    return OutputConfig.newBuilder()
        .setGcsDestination(GcsDestination.newBuilder().setUri(destination))
        .setBatchSize(2)
        .build();
  }

  OperationFuture<AsyncBatchAnnotateImagesResponse, OperationMetadata> begin(
      List<AnnotateImageRequest> requests, String destination) {
    return client.asyncBatchAnnotateImagesAsync(
        AsyncBatchAnnotateImagesRequest.newBuilder()
            .addAllRequests(requests)
            .setOutputConfig(output(destination))
            .build());
  }

  /** The files under a prefix of gs://results, read with Google's storage client. */
  Map<String, BatchAnnotateImagesResponse> results(String under) throws Exception {
    return results(under, BatchAnnotateImagesResponse.getDefaultInstance());
  }

  /** Those of another type: that of {@code kind}. */
  @SuppressWarnings("unchecked")
  <T extends Message> Map<String, T> results(String under, T kind) throws Exception {
    Map<String, T> files = new LinkedHashMap<>();
    for (Blob blob :
        storage.list("results", Storage.BlobListOption.prefix(under)).iterateAll()) {
      Message.Builder file = kind.newBuilderForType();
      JsonFormat.parser().merge(new String(blob.getContent(), "UTF-8"), file);
      files.put(blob.getName().substring(under.length()), (T) file.build());
    }
    return files;
  }

  /** What is to be read on each page, by its number. */
  static Map<Integer, String> texts(Iterable<AnnotateImageResponse> pages) {
    Map<Integer, String> texts = new LinkedHashMap<>();
    for (AnnotateImageResponse page : pages) {
      texts.put(page.getContext().getPageNumber(), page.getFullTextAnnotation().getText().strip());
    }
    return texts;
  }

  /** The documented program: start, wait, read the results from the bucket. */
  Map<String, Object> batch() throws Exception {
    var operation = begin(images("cat.jpg", "dog.jpg", "coffee.jpg"),
        "gs://results/" + prefix + "/batch/");
    String uri = operation.get().getOutputConfig().getGcsDestination().getUri();
    Map<String, BatchAnnotateImagesResponse> files =
        results(uri.substring("gs://results/".length()));
    List<String> labels = new ArrayList<>();
    for (BatchAnnotateImagesResponse file : files.values()) {
      for (AnnotateImageResponse answer : file.getResponsesList()) {
        labels.add(answer.getLabelAnnotations(0).getDescription());
      }
    }
    return Map.of("files", files.keySet(), "labels", labels,
        "state", operation.getMetadata().get().getState().name());
  }

  /** At most 16 images, answered at once. */
  Map<String, Object> sync() {
    AnnotateImageResponse answer =
        client.batchAnnotateImages(images("cat.jpg")).getResponses(0);
    return Map.of(
        "label", answer.getLabelAnnotations(0).getDescription(),
        "colours", answer.getImagePropertiesAnnotation().getDominantColors().getColorsCount());
  }

  /** All pages of a PDF, two to a file of the results. */
  Map<String, Object> files_batch() throws Exception {
    String under = prefix + "/files/";
    AsyncAnnotateFileRequest request =
        AsyncAnnotateFileRequest.newBuilder()
            .setInputConfig(PAGES)
            .addFeatures(TEXT)
            .setOutputConfig(output("gs://results/" + under))
            .build();
    client.asyncBatchAnnotateFilesAsync(List.of(request)).get();
    Map<String, AnnotateFileResponse> files =
        results(under, AnnotateFileResponse.getDefaultInstance());
    List<AnnotateImageResponse> pages = new ArrayList<>();
    for (AnnotateFileResponse file : files.values()) {
      pages.addAll(file.getResponsesList());
    }
    return Map.of("files", files.keySet(), "texts", texts(pages));
  }

  /** At most five pages of one PDF, answered at once: here the last one and the first. */
  Map<String, Object> files() {
    AnnotateFileRequest request =
        AnnotateFileRequest.newBuilder()
            .setInputConfig(PAGES)
            .addFeatures(TEXT)
            .addAllPages(List.of(-1, 1))
            .build();
    AnnotateFileResponse file = client.batchAnnotateFiles(List.of(request)).getResponses(0);
    return Map.of("pages", file.getTotalPages(), "texts", texts(file.getResponsesList()));
  }

  /** An image that is not there is an error in its place; the batch is done all the same. */
  Map<String, Object> failing() throws Exception {
    begin(images("cat.jpg", "missing.jpg"), "gs://results/" + prefix + "/failing/").get();
    BatchAnnotateImagesResponse file =
        results(prefix + "/failing/").values().iterator().next();
    List<Integer> codes = new ArrayList<>();
    for (AnnotateImageResponse answer : file.getResponsesList()) {
      codes.add(answer.getError().getCode());
    }
    return Map.of("codes", codes, "message", file.getResponses(1).getError().getMessage());
  }

  /** An output that cannot be written is the operation's error. */
  Map<String, Object> unwritable() throws Exception {
    return refused(begin(images("cat.jpg"), "gs://no-such-bucket/x/"));
  }

  /** Cancelling ends the operation with error code 1. */
  Map<String, Object> cancel() throws Exception {
    List<AnnotateImageRequest> many = Collections.nCopies(2000, image("cat.jpg"));
    String name = begin(many, "gs://results/" + prefix + "/cancel/").getName();
    if (grpc) {
      client.getOperationsClient().cancelOperation(name);
    } else {
      client.getHttpJsonOperationsClient().cancelOperation(name);
    }
    Operation ended = get(name);
    return Map.of("code", ended.getError().getCode(), "message", ended.getError().getMessage());
  }

  /** The operations of a project, the newest first. */
  Map<String, Object> list() throws Exception {
    String name = (String) start().get("name");
    ListOperationsRequest request =
        ListOperationsRequest.newBuilder().setName("projects/local").setPageSize(100).build();
    List<Operation> found =
        grpc
            ? client.getOperationsClient().listOperationsCallable().call(request)
                .getOperationsList()
            : client.getHttpJsonOperationsClient().listOperationsCallable().call(request)
                .getOperationsList();
    return Map.of("listed", found.stream().anyMatch(one -> one.getName().equals(name)));
  }

  /** A deleted operation is forgotten. */
  Map<String, Object> delete() throws Exception {
    var operation = begin(images("cat.jpg"), "gs://results/" + prefix + "/delete/");
    operation.get();
    if (grpc) {
      client.getOperationsClient().deleteOperation(operation.getName());
    } else {
      client.getHttpJsonOperationsClient().deleteOperation(operation.getName());
    }
    try {
      get(operation.getName());
      return Map.of("found", true);
    } catch (ApiException error) {
      return Map.of("found", false);
    }
  }

  /** An operation that never was. */
  Map<String, Object> unknown() {
    try {
      get("projects/local/operations/0000000000000000");
      return Map.of();
    } catch (ApiException error) {
      return refusal(error);
    }
  }

  /** More than 2000 images are refused, and the error says so. */
  Map<String, Object> too_many() throws Exception {
    List<AnnotateImageRequest> many = Collections.nCopies(2001, image("cat.jpg"));
    return refused(begin(many, "gs://results/" + prefix + "/many/"));
  }

  /** Start and go away: the name is all there is to keep. */
  Map<String, Object> start() throws Exception {
    return Map.of("name",
        begin(images("cat.jpg", "dog.jpg"), "gs://results/" + prefix + "/start/").getName());
  }

  /**
   * How long two images take the server, and how long this client waits for them: by itself it
   * asks after up to 20 seconds. The second pair is not there, which takes no time at all.
   */
  Map<String, Object> quick() throws Exception {
    List<Double> worked = new ArrayList<>();
    List<Double> waited = new ArrayList<>();
    for (var pair : List.of(images("cat.jpg", "dog.jpg"), images("none.jpg", "none.jpg"))) {
      long begun = System.nanoTime();
      var operation = begin(pair, "gs://results/" + prefix + "/quick/");
      operation.get();
      waited.add((System.nanoTime() - begun) / 1e9);
      OperationMetadata metadata = operation.getMetadata().get();
      Duration work = Timestamps.between(metadata.getCreateTime(), metadata.getUpdateTime());
      worked.add(Durations.toMillis(work) / 1e3);
    }
    return Map.of("worked", worked, "waited", waited);
  }

  /** Take up an operation by its name, in another process. */
  Map<String, Object> attach(String name) throws Exception {
    var operation =
        client.asyncBatchAnnotateImagesOperationCallable().resumeFutureCall(name);
    return Map.of("uri", operation.get().getOutputConfig().getGcsDestination().getUri());
  }

  Operation get(String name) {
    return grpc
        ? client.getOperationsClient().getOperation(name)
        : client.getHttpJsonOperationsClient().getOperation(name);
  }

  static Map<String, Object> refused(OperationFuture<?, ?> operation) throws Exception {
    try {
      operation.get();
      return Map.of();
    } catch (ExecutionException error) {
      return refusal((ApiException) error.getCause());
    }
  }

  static Map<String, Object> refusal(ApiException error) {
    return Map.of(
        "code", error.getStatusCode().getCode().name(), "message", error.getMessage());
  }

  Map<String, Object> run(String command) throws Exception {
    switch (command) {
      case "batch": return batch();
      case "sync": return sync();
      case "files_batch": return files_batch();
      case "files": return files();
      case "failing": return failing();
      case "unwritable": return unwritable();
      case "cancel": return cancel();
      case "list": return list();
      case "delete": return delete();
      case "unknown": return unknown();
      case "too_many": return too_many();
      case "start": return start();
      case "quick": return quick();
      default: throw new IllegalArgumentException(command);
    }
  }

  static void print(String command, Map<String, Object> said) {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("command", command);
    line.putAll(said);
    System.out.println(new Gson().toJson(line));
  }

  public static void main(String[] arguments) throws Exception {
    List<String> given = List.of(arguments);
    Client one = new Client(given.get(0), given.get(1));
    List<String> commands = given.subList(2, given.size());
    if (!commands.isEmpty() && commands.get(0).equals("attach")) {
      print("attach", one.attach(commands.get(1)));
    } else {
      for (String command : commands.isEmpty() ? COMMANDS : commands) {
        print(command, one.run(command));
      }
    }
    one.client.close();
  }
}
