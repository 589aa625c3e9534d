# syntax=docker/dockerfile:1
# One static binary in an empty image. SIP and RTP carry addresses inside their messages, so run it on the host's network:
#   docker run --network host -v ./sipgo.yaml:/etc/trunkline/sipgo.yaml:ro -v trunkline-data:/var/lib/trunkline trunkline
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
ARG REVISION=unknown
# cgo for SQLite, yet static: resolver and user look-up in Go, no loadable SQLite extensions, glibc linked in.
RUN CGO_ENABLED=1 go build -trimpath \
      -tags 'osusergo netgo sqlite_omit_load_extension' \
      -ldflags "-s -w -linkmode external -extldflags -static -X main.version=${VERSION} -X main.commit=${REVISION}" \
      -o /out/trunkline ./cmd/trunkline \
 && /out/trunkline version \
 && mkdir -p /out/data

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Trunkline" \
      org.opencontainers.image.description="Carrier-facing SIP edge: proves, registers, paces, routes and explains trunks" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/trunkline /usr/local/bin/trunkline
# 65532 is nobody in particular; the data folder belongs to it so that a fresh volume does too.
COPY --from=build --chown=65532:65532 /out/data /var/lib/trunkline
USER 65532:65532
ENV TRUNKLINE_STORAGE__DIRECTORY=/var/lib/trunkline
VOLUME /var/lib/trunkline
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/trunkline", "healthcheck", "--config", "/etc/trunkline/sipgo.yaml"]
ENTRYPOINT ["/usr/local/bin/trunkline"]
CMD ["serve", "--config", "/etc/trunkline/sipgo.yaml"]
