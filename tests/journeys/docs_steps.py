"""The command lines of the pages in docs, in an order in which they can run.

Names that a page takes from its own example stand for others here; settings that are added make a retraining short.
The environment has DATA, the data version, TODAY, and CLASS, one of its classes.
"""

from tests.journeys.photographs import ARCHIVE
from tests.journeys.steps import Step

AUDIT, BACKBONES, DRIFT, METHODS = "docs/audit.md", "docs/backbones.md", "docs/drift.md", "docs/methods.md"
PROMOTION, SCHEDULE, TASKS = "docs/promotion.md", "docs/schedule.md", "docs/tasks.md"
WEIGHTS = ARCHIVE.parents[1] / "weights/tf_efficientnet_lite0.safetensors"
SHORT = "--set train.steps=5 --set train.validation.patience=0 --set episodes.n_episodes=4"
SERVES = "Prefect  http"  # printed when the schedule is served
LOOKED = (0, 12)  # nothing has drifted, or something has

VERSIONS = (
    Step("kshot data versions", AUDIT, shows=(r"\* \w{8} .* first season",)),
    Step("kshot data tag $DATA season-1", AUDIT, ("kshot data tag 7842 season-1",)),
    Step("kshot data restore season-1", AUDIT),
    Step("kshot data restore $DATA", AUDIT, "kshot data restore 7842"),
    Step("kshot data untag season-1", AUDIT),
)

LOOKING = (
    Step("kshot tasks", TASKS, shows=("measured",)),
    Step("kshot tasks --shots 1", TASKS),
    Step(
        "kshot tasks ../others --json tasks.json",
        TASKS,
        ("kshot tasks FOLDER", "kshot tasks FOLDER --json tasks.json"),
        shows=("measured",),
    ),
    Step("kshot drift ../camera", DRIFT, "kshot drift camera", LOOKED, shows=("unlabelled",)),
    Step(
        "kshot drift ../others --ignore unknown",
        DRIFT,
        ("kshot drift SOURCE", "kshot drift SOURCE --ignore unknown"),
        LOOKED,
    ),
    Step("kshot drift ../others --json", DRIFT, "kshot drift SOURCE --json", LOOKED),
    # What the champion was trained on has not drifted, so that nothing is retrained.
    Step(
        "kshot drift birds --retrain --extend",
        DRIFT,
        ("kshot drift SOURCE --retrain", "kshot drift SOURCE --retrain --extend"),
    ),
)

DECIDING = (
    # More steps than the champion has make a model that the gate passes by its rules as they are.
    Step(
        "kshot retrain --set train.method.name=matching --set gate.approval=manual --set train.steps=40",
        METHODS,
        "kshot retrain --set train.method.name=matching",
        shows=("by matching on", "waiting for approval", "model kshot version 2"),
        needed=True,
    ),
    Step("kshot models", PROMOTION, shows=("1 champion", "2 challenger")),
    Step("kshot compare champion challenger", PROMOTION),
    Step('kshot approve challenger --by Ada --reason "figures are as expected"', PROMOTION, shows=("2 is champion",)),
    Step('kshot rollback --reason "false accepts on the shop floor" --by Ada', PROMOTION, shows=("instead of",)),
    Step("kshot retrain", PROMOTION, shows=("version 2", "rolled back"), hides=("version 3",)),
    Step("kshot history", PROMOTION, shows=("as they were written",)),
)

TRAINING = (
    Step(
        "kshot retrain --set train.method.name=maml --set train.method.n_way=5 --set train.batch.images=16"
        f" --set 'train.method.arguments={{steps: 3, test_steps: 3, first_order: true}}' {SHORT}",
        METHODS,
        "kshot retrain --set train.method.name=maml --set train.method.n_way=5 --set train.batch.images=16"
        " --set 'train.method.arguments={steps: 3, test_steps: 3, first_order: true}'",
        shows=("model kshot version 3",),
    ),
)

# Of two versions, the first of them champion.
AUDITING = (
    Step("kshot audit --model champion", AUDIT, shows=("version 1: all .* hold",)),
    Step("kshot audit --model 2 --deep", AUDIT, "kshot audit --model 3 --deep", shows=("version 2: all .* hold",)),
    Step("kshot audit --data $DATA", AUDIT, ("kshot audit --data 3f9a0c1e", "kshot audit --data 7842")),
    Step("kshot audit --at $TODAY", AUDIT, ("kshot audit --at 2026-03-01", "kshot audit --at 2026-11-21")),
    Step("kshot audit --class $CLASS", AUDIT, "kshot audit --class robin"),
    Step("kshot audit --limits", AUDIT),
    Step("kshot prune", AUDIT),
)

SCHEDULING = (
    Step("kshot plan", SCHEDULE, "kshot plan"),
    Step('kshot schedule --cron "0 3 * * 1" --timezone Europe/Berlin', SCHEDULE, until=SERVES),
    Step("kshot schedule list", SCHEDULE, shows=("cron 0 3",)),
    Step("kshot schedule remove cron", SCHEDULE),
    Step("kshot schedule --every 6h", SCHEDULE, until=SERVES),
    Step("kshot schedule pause every", SCHEDULE),
    Step("kshot schedule", SCHEDULE, until=SERVES),
    Step("kshot schedule resume", SCHEDULE),
    Step("kshot schedule remove", shows=("removed",)),
)

# It replaces the settings of the steps before, so it comes last.
PRETRAINED = (
    Step(
        f"cp {WEIGHTS} . && kshot retrain --set train.method.name=metric --set train.method.arguments={{}}"
        " --set train.method.n_way=null --set train.network.backbone=tf_efficientnet_lite0"
        f" --set train.network.checkpoint=tf_efficientnet_lite0.safetensors --set train.network.adaptation=projection"
        f" --set train.projection.dim=256 --set train.network.input_size=96 {SHORT}",
        BACKBONES,
        "kshot retrain --set train.network.backbone=tf_efficientnet_lite0"
        " --set train.network.checkpoint=tf_efficientnet_lite0.safetensors --set train.network.adaptation=projection"
        " --set train.projection.dim=256",
        shows=("model kshot version 4",),
    ),
)
