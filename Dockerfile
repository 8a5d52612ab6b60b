# An image with one static binary: no shell, no package manager, no root. Use
# /livez and /readyz over HTTP for health checks.

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags='-s -w' -o /image/veranda ./cmd/veranda
# SQLite may need /tmp; the CA certificates are for services and databases over
# TLS.
RUN mkdir -p /image/data /image/etc/ssl/certs && mkdir -m 1777 /image/tmp && \
    cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ && \
    chown 65532:65532 /image/data

FROM scratch
COPY --from=build /image/ /
USER 65532:65532
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["/veranda"]
# Runs all three services, of which only the public layer listens outside the
# container. compose.yaml shows how to run one service.
CMD ["--host=0.0.0.0", "--data-dir=/data"]
