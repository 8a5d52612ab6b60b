# One static binary and nothing else: no shell, no package manager, no root.
# Whether it is well, ask over HTTP: /livez and /readyz.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags='-s -w' -o /image/veranda ./cmd/veranda
# SQLite may want a place for temporary files; certificates are for services
# and databases that are reached over TLS.
RUN mkdir -p /image/data /image/etc/ssl/certs && mkdir -m 1777 /image/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    chown 65532:65532 /image/data

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["/veranda"]
# All three services. Only the public layer listens outside the container; give
# another command to run one service alone, as compose.yaml does.
CMD ["--host=0.0.0.0", "--data-dir=/data"]
