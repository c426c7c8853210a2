variable "name" {
  description = "Prefix of all names."
  type        = string
  default     = "leat"
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  description = "Private subnets, in two zones at least: nodes, database and load balancer."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "Give subnets in two availability zones at least."
  }
}

variable "route_table_ids" {
  description = "Route tables of these subnets, for the S3 gateway endpoint: without it each request to the bucket goes through a NAT gateway and is billed by the byte."
  type        = list(string)
}

variable "client_cidrs" {
  description = "Who may call."
  type        = list(string)
}

variable "artifact_bucket" {
  description = "Bucket that holds the release binary for linux/amd64."
  type        = string
}

variable "artifact_key" {
  type = string
}

variable "artifact_sha256" {
  description = "Checksum from the release's SHA256SUMS: another binary is not started."
  type        = string
  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.artifact_sha256))
    error_message = "Give 64 hexadecimal digits."
  }
}

variable "master_key" {
  description = "The text of `leat master-key`. Keep a copy outside of AWS: encrypted streams and access keys cannot be read without it."
  type        = string
  sensitive   = true
}

variable "delivery_buckets" {
  description = "Buckets that delivery streams write to with the nodes' role: those that name no access key of their own. Whoever may make deliveries can write to each of them."
  type        = list(string)
  default     = []
}

variable "nodes" {
  description = "`leat plan` says how many."
  type        = number
  default     = 3
}

variable "share_shards" {
  description = "Nodes share the shards (docs/scale.md). Otherwise one serves and the others stand by."
  type        = bool
  default     = true
}

variable "instance_type" {
  description = "amd64, with network to spare: a record goes in once and out to the bucket twice."
  type        = string
  default     = "m7i.large"
}

variable "db_instance_class" {
  type    = string
  default = "db.m7g.large"
}

variable "db_storage_gib" {
  type    = number
  default = 50
}

variable "profile" {
  description = "How records are gathered before a PUT: cost, balanced or latency."
  type        = string
  default     = "balanced"
}
