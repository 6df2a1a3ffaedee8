"""Types of Dagster's private modules that other rooms name: what public calls give, under no public name."""

from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.events import RunFailureReason
from dagster._core.execution.plan.objects import ErrorSource
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster_shared.error import SerializableErrorInfo

__all__ = [
    "AssetCheckExecutionRecordStatus",
    "ErrorSource",
    "RunFailureReason",
    "SerializableErrorInfo",
    "UnresolvedAssetJobDefinition",
]
