# Two images: `serve` (the default) answers HTTP, `train` runs one training job.
#
#   docker build -t fenestra:serve .
#   docker build -t fenestra:train --target train .
#   docker build -t fenestra:cuda --build-arg EXTRAS="serve otel gpu" .
#
# PYTHON_IMAGE is the base. A tag moves; to build on the very same base every time, name it by its digest:
#
#   docker buildx imagetools inspect python:3.11-slim --format '{{.Manifest.Digest}}'
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:… -t fenestra:serve .
#
# The serve image holds the packages of deploy/requirements.lock, each checked by its hash. EXTRAS may add gpu: torch and
# what it needs are not in the lock, because there is one build for each CUDA. TORCH_INDEX is the package index that
# torch comes from: for training PyTorch's CPU builds unless told otherwise. Empty, torch comes from wherever pip looks by
# itself, and on Linux that is the CUDA build on PyPI; any of PyTorch's own indexes will do as well.
#
# Packages go into a virtual environment without pip, which is copied whole into a trimmed base: the result has no
# compiler, no pip, and the serve image no torch, gensim or seqeval, which proves the layering.

ARG PYTHON_IMAGE=python:3.11-slim

# ── requirements: what pyproject.toml asks for, a file for each extra; only a change of them fetches packages again ──
FROM ${PYTHON_IMAGE} AS requirements
WORKDIR /requirements
COPY pyproject.toml ./
RUN python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; [print(*lines, sep="\n", file=open(f"{name}.txt", "w")) for name, lines in {"base": p["dependencies"], **p["optional-dependencies"]}.items()]' \
 && rm pyproject.toml

# ── wheel: Fenestra itself, its kernel compiled ──
FROM ${PYTHON_IMAGE} AS wheel
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY model model
COPY training training
COPY app app
COPY fenestra fenestra
COPY data/models data/models
COPY data/sample data/sample
# There is no compiler in this image, so one is fetched for as long as the build lasts (fenestra/hatch_build.py).
RUN pip wheel --no-deps --wheel-dir /wheels .

# ── build: the environment that both images begin with ──
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv --without-pip /opt/fenestra
COPY --from=requirements /requirements /requirements

# ── build-serve: what serving needs, traces included: an image cannot be given an extra when it runs ──
FROM build AS build-serve
ARG EXTRAS="serve otel"
COPY deploy/requirements.lock /requirements/
ARG TORCH_INDEX=
# The locked packages, less numpy's own tests (12 MB). Then torch, alone: only it comes from TORCH_INDEX.
RUN pip --python /opt/fenestra/bin/python install --no-compile --require-hashes -r /requirements/requirements.lock \
 && for extra in $EXTRAS; do \
      if [ "$extra" = gpu ]; then \
        pip --python /opt/fenestra/bin/python install --no-compile --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
          "$(cat /requirements/gpu.txt)" || exit; \
      fi; \
      pip --python /opt/fenestra/bin/python install --no-compile -r "/requirements/$extra.txt" || exit; \
    done \
 && find /opt/fenestra/lib/python3.11/site-packages/numpy -name tests -type d -prune -exec rm -rf {} +
COPY --from=wheel /wheels /wheels
RUN pip --python /opt/fenestra/bin/python install --no-compile --no-deps /wheels/*.whl \
 # Bytecode for the modules that a start really imports: a read-only root could not keep it later. Without any, each
 # start would take longer; for every module, the image would be larger.
 && echo "Ada Lovelace met Charles Babbage in London." | /opt/fenestra/bin/fenestra tag - > /dev/null \
 && /opt/fenestra/bin/python -c 'import fenestra.app.main, uvicorn.lifespan.on, uvicorn.loops.auto, uvicorn.protocols.http.auto'

# ── build-train: what training needs ──
FROM build AS build-train
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip --python /opt/fenestra/bin/python install --no-compile --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} \
      "$(grep '^torch==' /requirements/train.txt)" \
 && pip --python /opt/fenestra/bin/python install --no-compile -r /requirements/base.txt -r /requirements/train.txt \
 # What only building against torch or testing torch needs: its C++ tests, headers and tools, some 190 MB.
 # torch_shm_manager stays: `import torch` looks for it.
 && cd /opt/fenestra/lib/python3.11/site-packages/torch \
 && rm -rf test include \
 && find bin -mindepth 1 ! -name torch_shm_manager -delete
COPY --from=wheel /wheels /wheels
RUN pip --python /opt/fenestra/bin/python install --no-compile --no-deps /wheels/*.whl \
 && /opt/fenestra/bin/python -c 'import fenestra.training.job, gensim, seqeval.metrics, optuna, torch.utils.tensorboard'

# ── trimmed: the base without pip and what else no image needs: documentation, translations, Python's own tests ──
FROM ${PYTHON_IMAGE} AS trimmed
RUN stdlib=$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))') \
 && site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
 && rm -rf "$site"/* "$(dirname "$(command -v python)")"/pip* \
      "$stdlib"/ensurepip "$stdlib"/idlelib "$stdlib"/lib2to3 "$stdlib"/pydoc_data "$stdlib"/test "$stdlib"/turtledemo \
      /usr/share/python-wheels /usr/share/man /usr/share/locale \
 && find /usr/share/doc -type f ! -name copyright -delete

# ── runtime: the base of both images; copied into an empty one, or what was removed would still be in a layer of it ──
FROM scratch AS runtime
COPY --from=trimmed / /
RUN groupadd --gid 65532 fenestra \
 && useradd --uid 65532 --gid 65532 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin fenestra \
 && install -d -o 65532 -g 65532 /models
ENV PATH=/opt/fenestra/bin:/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Checkpoints of one's own: what `train` writes and `serve` can load.
VOLUME /models
USER 65532:65532

# ── train: docker run -v models:/models fenestra:train CONFIG --output /models/NAME ──
FROM runtime AS train
COPY --from=build-train /opt/fenestra /opt/fenestra
WORKDIR /work
COPY training/configs training/configs
COPY data/models data/models
COPY data/sample data/sample
# /cache is where a configuration that names a known corpus (`fenestra data fetch`) finds it: mount yours.
ENV FENESTRA_CACHE=/cache
# As Ctrl-C: what can be resumed is saved first. (Process 1 would not die of a SIGTERM that it does not handle.)
STOPSIGNAL SIGINT
ENTRYPOINT ["fenestra", "train"]
CMD ["training/configs/sample.toml", "--output", "/models/sample"]

# ── serve: docker run -p 8000:8000 fenestra:serve ──
FROM runtime AS serve
COPY --from=build-serve /opt/fenestra /opt/fenestra
ENV FENESTRA_HOST=0.0.0.0 FENESTRA_PORT=8000
EXPOSE 8000
# http.client follows no proxy settings; the time limit is what makes a frozen service unhealthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['FENESTRA_PORT']), timeout=3); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["fenestra"]
CMD ["serve"]
