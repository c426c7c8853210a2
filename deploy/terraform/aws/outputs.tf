output "endpoint" {
  description = "For AWS SDKs and REST."
  value       = "http://${aws_lb.leat.dns_name}:${local.http_port}"
}

output "grpc_endpoint" {
  value = "${aws_lb.leat.dns_name}:${local.grpc_port}"
}

output "bucket" {
  value = aws_s3_bucket.records.bucket
}

output "secret_arn" {
  description = "postgres, token and master_key."
  value       = aws_secretsmanager_secret.leat.arn
}
