# Every third-party library, with its Debian package and the reason it is here. ./dev installs the same packages.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)                                              # libssl-dev: TLS, HMAC, SHA-256, random
find_package(Boost 1.81.0 EXACT CONFIG REQUIRED COMPONENTS headers url json)    # libboost-*1.81-dev: Asio, HTTP parser, URL, JSON
find_package(simdjson 3 CONFIG REQUIRED)                                        # libsimdjson-dev: JSON on the publish path
find_package(PkgConfig REQUIRED)
pkg_check_modules(libnghttp2 REQUIRED IMPORTED_TARGET libnghttp2)               # libnghttp2-dev: HTTP/2
find_package(SQLite3 REQUIRED)                                                  # libsqlite3-dev: the embedded store; with FTS5
find_package(fmt 9 CONFIG REQUIRED)                                             # libfmt-dev: text formatting
find_package(spdlog 1.10 CONFIG REQUIRED)                                       # libspdlog-dev: log lines (compiled target)
find_package(tomlplusplus 3.3 CONFIG REQUIRED)                                  # libtomlplusplus-dev: configuration file
find_package(CLI11 2.1 CONFIG REQUIRED)                                         # libcli11-dev: command line
find_package(CURL 7.85 REQUIRED)                                                # libcurl4-openssl-dev: fetching key sets (JWKS) over HTTPS
find_package(prometheus-cpp CONFIG REQUIRED)                                    # prometheus-cpp-dev: /metrics text
# Optional, each for one module of src/ingest; without it the sources of that kind are told to be missing.
find_package(PostgreSQL 15)                                                     # libpq-dev: outbox, tables, changes
pkg_check_modules(rdkafka IMPORTED_TARGET rdkafka)                              # librdkafka-dev: Kafka
pkg_check_modules(libmosquitto IMPORTED_TARGET libmosquitto)                    # libmosquitto-dev: MQTT
if(BUILD_TESTING)
  find_package(GTest 1.12 CONFIG REQUIRED)                                      # libgtest-dev: unit and contract tests
  find_package(rapidcheck CONFIG REQUIRED)                                      # librapidcheck-dev: property tests
  include(GoogleTest)
endif()
