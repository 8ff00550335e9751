"""Looks at the training rows with Spark before anything is trained, and hands on those that have a label."""

import argparse

from pyspark.sql import SparkSession
from pyspark.sql import functions as f

asked = argparse.ArgumentParser()
asked.add_argument("--rows")
asked.add_argument("--people")
places = asked.parse_args()

spark = SparkSession.builder.getOrCreate()
people = spark.read.parquet(places.rows).dropna(subset=["income"])
earns = f.when(f.col("income") == ">50K", 100.0).otherwise(0.0)
for group in ("sex", "race", "education"):
    shares = people.groupBy(group).agg(
        f.count("*").alias("people"), f.round(f.avg(earns), 1).alias("over 50K, %")
    )
    shares.orderBy(f.desc("people")).show(20, truncate=False)
people.write.mode("overwrite").parquet(places.people)
