# Builds the program and an image that contains only it, certificates and time zone data, and runs as
# an unprivileged user.
#
#   docker build -t punctual --build-arg COMMIT=$(git rev-parse --short=10 HEAD) .
#   docker run --rm -e DATABASE_URL punctual migrate

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY benches benches
COPY data data
COPY migrations migrations
COPY packaging/compile packaging/compile
COPY triggers triggers
COPY src src
# The sources here have no repository to ask.
ARG COMMIT
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    BUILD_COMMIT=$COMMIT packaging/compile /usr/local/bin/punctual
# A new volume takes the owner and mode of the directory that it covers.
RUN mkdir -p /state && chmod 0700 /state

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /usr/local/bin/punctual /usr/local/bin/punctual
COPY --from=build --chown=nonroot:nonroot /state /var/lib/punctual
VOLUME /var/lib/punctual
WORKDIR /var/lib/punctual
# Liveness only, because an unreachable database is not a reason to kill the daemon. For readiness use
# GET /readyz or `punctual health`.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/usr/local/bin/punctual", "health", "--alive"]
# A stop waits for requests in flight: allow 40 s (docker stop -t 40).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/punctual"]
CMD ["run"]
