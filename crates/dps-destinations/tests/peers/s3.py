"""The S3 side of a test: `prepare ENDPOINT` makes a bucket and a user who may write there, `show ENDPOINT ID KEY` what it
holds. The server checks signatures after the four calls of `prepare`."""

import json
import sys

import boto3

BUCKET = "logs"
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def client(service, endpoint, key_id="none", key="none"):
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="eu-central-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=key,
    )


def prepare(endpoint):
    iam = client("iam", endpoint)
    iam.create_user(UserName="muster")
    iam.put_user_policy(UserName="muster", PolicyName="all", PolicyDocument=json.dumps(POLICY))
    place = {"LocationConstraint": "eu-central-1"}
    client("s3", endpoint).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    key = iam.create_access_key(UserName="muster")["AccessKey"]
    return {"id": key["AccessKeyId"], "key": key["SecretAccessKey"]}


def show(endpoint, key_id, key):
    s3 = client("s3", endpoint, key_id, key)
    names = [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    return {name: s3.get_object(Bucket=BUCKET, Key=name)["Body"].read().decode() for name in names}


if __name__ == "__main__":
    print(json.dumps({"prepare": prepare, "show": show}[sys.argv[1]](*sys.argv[2:])))
