# Builds the program and puts it, alone with certificates and zone data, into an image whose user
# is nobody in particular.
#
#   docker build -t punctual .
#   docker run --rm -e DATABASE_URL punctual migrate

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY benches benches
COPY migrations migrations
COPY triggers triggers
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin punctual \
    && cp target/release/punctual /usr/local/bin/punctual
# A volume takes over owner and mode of what it covers.
RUN mkdir -p /state && chmod 0700 /state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /usr/local/bin/punctual /usr/local/bin/punctual
COPY --from=build --chown=nonroot:nonroot /state /var/lib/punctual
VOLUME /var/lib/punctual
WORKDIR /var/lib/punctual
# Whether it lives. Whether it is ready is GET /readyz, and `punctual health`: a database that is
# away is no reason to kill the daemon.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s CMD ["/usr/local/bin/punctual", "health", "--alive"]
# What is in flight gets its answer first: stop it with 40 s of patience (docker stop -t 40).
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/punctual"]
CMD ["run"]
