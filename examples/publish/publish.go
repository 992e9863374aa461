package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	event := `{"topic": "users/ana", "type": "booking.confirmed", "data": {"booking": 7}}`
	request, _ := http.NewRequest("POST", os.Getenv("BELFRY_URL")+"/v1/events", strings.NewReader(event))
	key := make([]byte, 16)
	rand.Read(key)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("BELFRY_KEY"))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", fmt.Sprintf("%x", key)) // keep it for a retry: the same key is the same event
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Do(request)
	if err != nil {
		panic(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != 201 {
		panic(string(body))
	}
	fmt.Println(string(body))
}
