# The gateway's image:
#   docker build --build-arg GIT_SHA="$(git rev-parse HEAD)" --tag hokusai-gateway .
# It runs with a read-only root file system; what it writes (a key file, an audit file) is on volumes, by setting.

FROM docker.io/library/rust:1.95-slim-bookworm AS build
WORKDIR /src
# The dependencies, with an empty crate: this layer changes with Cargo.lock, and not with the code.
COPY Cargo.toml Cargo.lock ./
# What is only tested and measured stays empty: Cargo wants to find it.
RUN mkdir -p src tests/api benches/instructions \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs tests/api/main.rs benches/time.rs benches/instructions/main.rs \
    && cargo build --release --locked \
    && rm -r src
COPY build.rs ./
COPY config config
COPY src src
ARG GIT_SHA=unknown
# Cargo tells by the time of a file whether it changed, and the empty ones are younger than a checkout may be.
RUN touch src/main.rs src/lib.rs && GATEWAY_GIT_SHA="$GIT_SHA" cargo build --release --locked --bin hokusai-gateway

FROM docker.io/library/debian:bookworm-slim
# The authorities that https:// is believed by; their newest version is the right one.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build /src/target/release/hokusai-gateway /usr/local/bin/hokusai-gateway
# Usage that the auth service has not taken yet. A volume that is mounted here gets the owner of this folder.
RUN install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/hokusai-gateway
VOLUME /var/lib/hokusai-gateway
ARG GIT_SHA=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="hokusai-gateway" \
      org.opencontainers.image.description="The API-key gateway in front of MLflow" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$GIT_SHA"
ENV HOKUSAI__SERVER__BIND=0.0.0.0:8001
EXPOSE 8001
USER 65532:65532
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["hokusai-gateway", "healthcheck"]
ENTRYPOINT ["hokusai-gateway"]
CMD ["serve"]
