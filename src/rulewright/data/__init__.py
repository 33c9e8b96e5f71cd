"""Edit data: from raw sources to clean, split, normalized records."""

from rulewright.data.schemas import SPLITS, DatasetMetadata, NormalizedRecord, Split, record_id
from rulewright.data.splits import Fractions, split_of
from rulewright.data.store import load, write_dataset

__all__ = [
    "SPLITS",
    "DatasetMetadata",
    "Fractions",
    "NormalizedRecord",
    "Split",
    "load",
    "record_id",
    "split_of",
    "write_dataset",
]
