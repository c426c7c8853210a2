variable "machines" {
  description = "Node name => address by which ssh and the other nodes reach it. Debian 12 or a relative of it, with systemd."
  type        = map(string)
}

variable "ssh_user" {
  description = "root, or a user with passwordless sudo."
  type        = string
  default     = "root"
}

variable "ssh_private_key_file" {
  type = string
}

variable "binary" {
  description = "bin/leat of `make build` or `make release`, for the machines' architecture."
  type        = string
}

variable "postgres" {
  description = "postgres://user:password@host/database?sslmode=verify-full; without sslmode any certificate is taken, or none. `leat doctor` says whether it will do."
  type        = string
  sensitive   = true
}

variable "token" {
  description = "Bootstrap token."
  type        = string
  sensitive   = true
  validation {
    condition     = length(var.token) >= 16
    error_message = "Make it 16 characters or longer."
  }
}

variable "master_key" {
  description = "The text of `leat master-key`."
  type        = string
  sensitive   = true
}

variable "s3_endpoint" {
  type = string
}

variable "s3_bucket" {
  type = string
}

variable "s3_region" {
  type    = string
  default = "us-east-1"
}

variable "s3_access_key" {
  type = string
}

variable "s3_secret_key" {
  type      = string
  sensitive = true
}

variable "share_shards" {
  description = "Nodes share the shards (docs/scale.md)."
  type        = bool
  default     = true
}
