"""Our Spark connector over a generated wrapper."""

import os
import sys

from pyspark.sql.functions import monotonically_increasing_id

from wrapgen.spark import apply, session

spark = session("scores", **{"spark.master": "local[*]"})
tweets = (
    spark.read.schema("document string").json(sys.argv[1]).withColumn("id", monotonically_increasing_id())
)
scored = apply(tweets, os.environ["WRAPPER"], input=["document"], id="id", schema="sentiment double")
scored.select("document", "result.sentiment").write.json(sys.argv[2])
