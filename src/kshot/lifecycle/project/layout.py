"""Paths of a project's files, relative to its root; dvc.yaml names the same paths (a test compares them)."""

from pathlib import Path

RAW = Path("data/raw")  # manifest.csv + images/, tracked by `dvc add`: the data version
RAW_DVC = Path("data/raw.dvc")
VERSIONS = Path("data/versions.jsonl")  # one line per data version that was ever added
FEEDBACK = Path("data/feedback.jsonl")  # images that came from requests to the service, and who labelled them
ERASURES = Path("data/erasures.jsonl")  # images that were erased on purpose, by whom and why
NAMES = Path("data/names.json")  # names that people gave to data versions
PACKED = Path("data/packed")  # ingest: shards.json, MD5.npy, ..., manifest.parquet, unreadable.csv
FINGERPRINTS = Path("fingerprints")  # STAGE.json: the code files that a stage reads, each with its md5
SPLIT = Path("data/split")  # split: classes.parquet, split.json
VALIDATION = Path("reports/validation")  # validate: validation.json, index.html, fitting.yaml
EPISODES = Path("data/episodes")  # episodes: val-5w1s.npz, test-5w1s.npz, ...
RESOLVED = EPISODES / "protocols.json"  # episodes: the protocols and queries a class, where params.yaml says auto
EMBEDDED = Path("data/embedded")  # embed: features.json, MD5.npy, ..., embedded.json
MODEL = Path("model")  # train: embedding.safetensors, embedding.json
EMBEDDING = "embedding"  # the embedding's folder among a registered model's artifacts
TRAIN_LOG = Path("reports/train.jsonl")  # train: one step record per line
CURVES = Path("reports/curves.csv")  # train: the same for `dvc plots`
SPACE = Path("reports/space.json")  # train: what was trained, and the space before and after
METRICS = Path("reports/metrics.json")  # evaluate: printed by `dvc metrics show`
EVALUATION = Path("reports/evaluation")  # evaluate: per episode, class, group; geometry; projection
REPORT = Path("reports/report.html")  # written by the flow, because it also shows the decision
STATE = Path(".kshot")  # lock, checkpoints, Prefect's home: never committed; safe to delete except for weights/
UNFINISHED = STATE / "unfinished"  # STAGE/: parts that the stage finished, and notes by which a later run finds them
FORGETTING = STATE / "forget.json"  # the note of a `kshot forget` that is not finished
MLRUNS = Path("mlruns")
LOCK_FILE = "dvc.lock"
