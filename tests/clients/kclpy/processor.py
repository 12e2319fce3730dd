"""A record processor of the Python KCL that writes down what it processes, as the Java worker does."""

import os
import time
from typing import Any

from amazon_kclpy import kcl
from amazon_kclpy.v3 import processor


class Processor(processor.RecordProcessorBase):  # type: ignore[misc]
    """One for each shard that the daemon has leased."""

    def initialize(self, initialize_input: Any) -> None:
        self.shard = initialize_input.shard_id

    def process_records(self, process_records_input: Any) -> None:
        micros = time.time_ns() // 1000
        lines = [
            f"{micros} {self.shard} {one.partition_key} {one.binary_data.decode()}\n" for one in process_records_input.records
        ]
        with open(os.environ["PROCESSED"], "a") as file:
            file.write("".join(lines))
        process_records_input.checkpointer.checkpoint()

    def lease_lost(self, lease_lost_input: Any) -> None:
        pass

    def shard_ended(self, shard_ended_input: Any) -> None:
        shard_ended_input.checkpointer.checkpoint()

    def shutdown_requested(self, shutdown_requested_input: Any) -> None:
        shutdown_requested_input.checkpointer.checkpoint()


if __name__ == "__main__":
    kcl.KCLProcess(Processor()).run()
