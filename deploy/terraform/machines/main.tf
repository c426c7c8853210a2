# Leat on machines that are there: over ssh, one after the other where `terraform apply -parallelism=1` says so. PostgreSQL and
# the S3-compatible store are yours.

locals {
  unit = file("${path.module}/../../systemd/leat.service")

  # Changes of any of these install and restart a node.
  secrets = join("\n", [
    "LEAT_POSTGRES=${var.postgres}",
    "LEAT_TOKEN=${var.token}",
    "LEAT_S3_ACCESS_KEY=${var.s3_access_key}",
    "LEAT_S3_SECRET_KEY=${var.s3_secret_key}",
    "",
  ])

  config = { for name, address in var.machines : name => yamlencode({
    "http-addr"         = "0.0.0.0:4567"
    "grpc-addr"         = "0.0.0.0:4568"
    "log-format"        = "json"
    "s3-endpoint"       = var.s3_endpoint
    "s3-bucket"         = var.s3_bucket
    "s3-region"         = var.s3_region
    "share-shards"      = var.share_shards
    "node"              = name
    "advertise-address" = "${address}:4568"
  }) }
}

resource "terraform_data" "node" {
  for_each = var.machines

  triggers_replace = {
    address = each.value
    binary  = filesha256(var.binary)
    config  = sha256(local.config[each.key])
    secrets = sha256(nonsensitive(sha256("${local.secrets}${var.master_key}")))
    unit    = sha256(local.unit)
  }

  connection {
    host        = each.value
    user        = var.ssh_user
    private_key = file(var.ssh_private_key_file)
  }

  provisioner "remote-exec" {
    inline = ["set -e", "umask 077", "rm -rf leat-install", "mkdir leat-install"]
  }

  provisioner "file" {
    source      = var.binary
    destination = "leat-install/leat"
  }

  provisioner "file" {
    content     = local.unit
    destination = "leat-install/leat.service"
  }

  provisioner "file" {
    content     = local.config[each.key]
    destination = "leat-install/leat.yaml"
  }

  provisioner "file" {
    content     = local.secrets
    destination = "leat-install/secrets.env"
  }

  provisioner "file" {
    content     = "${var.master_key}\n"
    destination = "leat-install/master.key"
  }

  provisioner "remote-exec" {
    inline = [
      "set -e",
      "cd leat-install",
      "SUDO=; [ \"$(id -u)\" = 0 ] || SUDO='sudo -n'",
      "$SUDO install -D -m 755 leat /usr/local/bin/leat.new",
      "$SUDO mv /usr/local/bin/leat.new /usr/local/bin/leat",
      "$SUDO install -D -m 644 leat.yaml /etc/leat/leat.yaml",
      "$SUDO install -D -m 600 secrets.env /etc/leat/secrets.env",
      "$SUDO install -D -m 600 master.key /etc/leat/master.key",
      "$SUDO install -D -m 644 leat.service /etc/systemd/system/leat.service",
      "cd .. && rm -rf leat-install",
      "$SUDO systemctl daemon-reload",
      "$SUDO systemctl enable leat.service",
      "$SUDO systemctl restart leat.service",
      # The next machine waits until this one answers; one that stands by never serves.
      "for i in $(seq 60); do leat health ${var.share_shards ? "" : "--live"} && exit 0; sleep 1; done; exit 1",
    ]
  }
}
