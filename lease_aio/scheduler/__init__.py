"""The jittered scheduler that drives every renewal of a client.

`queue` and what it stands on decide, without a clock or a task; `shell` awaits.
"""

from lease_aio.scheduler.histogram import Histogram, HistogramSnapshot
from lease_aio.scheduler.phase import jittered, spread
from lease_aio.scheduler.renewal import Priority, Renewal, Verdict
from lease_aio.scheduler.shell import Scheduler
from lease_aio.scheduler.sparse import SparseHistogram
from lease_aio.scheduler.statistics import ClassReport, SchedulerReport

__all__ = [
    "ClassReport",
    "Histogram",
    "HistogramSnapshot",
    "Priority",
    "Renewal",
    "Scheduler",
    "SchedulerReport",
    "SparseHistogram",
    "Verdict",
    "jittered",
    "spread",
]
