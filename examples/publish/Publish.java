import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.UUID;

class Publish {
  public static void main(String[] arguments) throws Exception {
    var event = "{\"topic\": \"users/ana\", \"type\": \"booking.confirmed\", \"data\": {\"booking\": 7}}";
    var request = HttpRequest.newBuilder(URI.create(System.getenv("BELFRY_URL") + "/v1/events"))
        .timeout(Duration.ofSeconds(5))
        .header("Authorization", "Bearer " + System.getenv("BELFRY_KEY"))
        .header("Content-Type", "application/json")
        .header("Idempotency-Key", UUID.randomUUID().toString()) // keep it for a retry: the same key is the same event
        .POST(HttpRequest.BodyPublishers.ofString(event))
        .build();
    var answer = HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
    if (answer.statusCode() != 201) throw new IllegalStateException(answer.body());
    System.out.println(answer.body());
  }
}
