# One image for the server and for the worker; docker-compose.yml runs both.
FROM python:3.13-slim-trixie AS build
WORKDIR /src
RUN python -m venv /opt/folioscope
COPY requirements.lock ./
RUN /opt/folioscope/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY static static
COPY templates templates
COPY migrations migrations
COPY engine engine
COPY app app
RUN /opt/folioscope/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim-trixie
# The engine is compiled here for any x86-64 or arm64, so that no container compiles it at its start.
ENV PATH=/opt/folioscope/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=generic \
    FOLIOSCOPE_CACHE=/var/cache/folioscope \
    FOLIOSCOPE_DATA=/data
RUN groupadd --gid 10001 folioscope \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home folioscope \
    && mkdir --parents /data /var/cache/folioscope \
    && chown 10001:10001 /data /var/cache/folioscope
COPY --from=build /opt/folioscope /opt/folioscope
USER 10001:10001
RUN folioscope warm
VOLUME /data
EXPOSE 8340
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8340/health', timeout=4)"]
ENTRYPOINT ["folioscope"]
CMD ["serve"]
