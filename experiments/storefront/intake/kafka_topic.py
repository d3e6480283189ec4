"""Lines of a Kafka topic, for a group of feeders that share its partitions.

Offsets are committed after the lines are in the ledger. A refused line goes to the topic ``<name>.dead`` first, with
its reason. What was not committed comes again, and counts once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence

from copyloom import InputError
from experiments.storefront.intake.addresses import address_of
from experiments.storefront.intake.feeding import MANY, Line, Say, backoff
from experiments.storefront.intake.lines import Taken

try:
    from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
except ImportError:
    raise InputError("Kafka needs confluent-kafka; install it with: pip install 'copyloom[kafka]'") from None

EXAMPLE = "kafka://host:9092/topic?group=shop"
_WAIT_SECONDS = 0.2
_ONCE_SECONDS = 60.0
_SETTLE_SECONDS = 30.0
_MOST_DEAD = 900_000
"""Bytes of a refused line that are kept: a producer sends a million, headers included."""
_FOR_EVER = (KafkaError._AUTHENTICATION, KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
_OURS = {"bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof"}


class KafkaTopic:
    """A Kafka topic, read by one feeder of a group.

    Parameters
    ----------
    url : str
        As `EXAMPLE`; several brokers with commas between. Settings beside ``group``: ``dead`` (the topic of refused
        lines), and librdkafka's own by their names, such as ``security.protocol=SASL_SSL&sasl.mechanism=PLAIN``; user
        and password stand before the host.
    stop : Event
    say : callable
        Hears of lost connections.
    once : bool
        End where all partitions end that this feeder has.

    Raises
    ------
    InputError
        If the URL cannot be read, or has a setting that librdkafka does not know.
    """

    def __init__(self, url: str, stop: threading.Event, say: Say, once: bool = False) -> None:
        self.address = address_of(url, EXAMPLE, ("dead",))
        self.stop, self.say, self.once = stop, say, once
        given = {name: value for name, value in self.address.settings.items() if "." in name}
        if taken := sorted(_OURS & given.keys()):
            raise InputError(f"{taken[0]} is not to be set: lines would be lost, or counted by nobody")
        self.dead = self.address.settings.get("dead", f"{self.address.name}.dead")
        connection = {"bootstrap.servers": self.address.hosts, "error_cb": self._failed,
                      "socket.timeout.ms": "10000", **given}  # fmt: skip  # or a commit waits a minute
        if self.address.user:
            connection |= {"sasl.username": self.address.user, "sasl.password": self.address.password}
        log = logging.getLogger("librdkafka")
        log.setLevel(logging.CRITICAL)  # `say` hears what matters
        reading = {"group.id": self.address.group, "enable.auto.commit": False, "enable.auto.offset.store": False,
                   "enable.partition.eof": True, "auto.offset.reset": "earliest"}  # fmt: skip
        try:
            self.consumer = Consumer({**reading, **connection}, logger=log)
            self.producer = Producer(connection, logger=log)
            self.consumer.subscribe([self.address.name], on_assign=lambda *_: self._ended.clear())
        except KafkaException as error:
            raise InputError(f"{self.address.shown} cannot be read ({error.args[0].str()}); {EXAMPLE}") from None
        self._lost = False
        self._ended: set[int] = set()
        self._read: dict[int, int] = {}

    def batches(self) -> Iterator[Sequence[Line]]:
        """Yield lines as they come."""
        quiet_since = time.monotonic()
        while not self.stop.is_set():
            messages = self.consumer.consume(MANY, _WAIT_SECONDS)
            lines = [line for message in messages if (line := self._line(message))]
            if lines:
                quiet_since = time.monotonic()
            yield lines
            if not self.once or lines:
                continue
            mine = {one.partition for one in self.consumer.assignment()}
            if mine and mine <= self._ended:
                return
            if time.monotonic() - quiet_since > _ONCE_SECONDS:
                raise InputError(
                    f"{self.address.shown} gave nothing for {_ONCE_SECONDS:g} s: it is not there, or other feeders of "
                    "the group have all its partitions"
                )

    def settle(self, lines: Sequence[Line], taken: Sequence[Taken]) -> None:
        """Lay refused lines aside, then commit the offsets of a batch."""
        refused = [(line, one) for line, one in zip(lines, taken, strict=True) if one.state == "refused"]
        waits = backoff()
        while refused and (why := self._laid_aside(refused)):
            wait = next(waits)
            self.say(f"the topic {self.dead!r} does not take refused lines ({why}); trying again in {wait:g} s")
            if self.stop.wait(wait):
                return
        offsets = [TopicPartition(self.address.name, partition, last + 1) for partition, last in self._read.items()]
        self._read = {}
        try:
            self.consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:  # another feeder has the partition now: they come again, and count once
            self.say(f"{len(lines):,} lines are on record, which {self.address.shown} could not be told ({error})")

    def close(self) -> None:
        """Leave the group."""
        self.consumer.close()

    def _line(self, message: Message) -> Line | None:
        """Return the line of a message; None for what a broker has to say."""
        error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
        if error is None:
            self._ended.discard(partition)
            self._read[partition] = offset
            if self._lost:
                self.say(f"{self.address.shown} answers again")
                self._lost = False
            return Line(f"{self.address.name}/{partition}@{offset}", message.value() or b"")
        if error.code() == KafkaError._PARTITION_EOF:
            self._ended.add(partition)
        else:
            self._failed(error)
        return None

    def _laid_aside(self, refused: Sequence[tuple[Line, Taken]]) -> str:
        """Write refused lines into their topic, and return why that failed; "" where all are there."""
        failed: list[str] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error.str())

        for line, one in refused:  # one that is too large for an event may be too large for a message with its reason
            headers: dict[str, str | bytes | None] = {"reason": one.why.encode(), "id": line.where.encode()}
            self.producer.produce(self.dead, line.body[:_MOST_DEAD], headers=headers, on_delivery=delivered)
        left = self.producer.flush(_SETTLE_SECONDS)
        return failed[0] if failed else f"{left} are not written after {_SETTLE_SECONDS:g} s" if left else ""

    def _failed(self, error: KafkaError) -> None:
        """Say that there is no connection, once; librdkafka tries again by itself, waiting longer each time."""
        for_ever = error.fatal() or error.code() in _FOR_EVER
        if for_ever or (self.once and error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise InputError(f"{self.address.shown} cannot be read ({error.str()}); mend that, and start again")
        if not self._lost:
            self.say(
                f"{self.address.shown} does not answer ({error.str()}); nothing is lost, it is tried again and again"
            )
        self._lost = True
