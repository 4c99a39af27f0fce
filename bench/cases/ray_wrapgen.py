"""Our connector for Ray Data over a generated wrapper."""

import os
import sys

import ray

from wrapgen.ray import apply

ray.init(include_dashboard=False, num_cpus=2 * os.cpu_count())
tweets = ray.data.read_json(sys.argv[1], lines=True).repartition(16)
scored = apply(tweets, os.environ["WRAPPER"], input=["document"], id="content", schema="sentiment double")
scored.write_json(sys.argv[2])
