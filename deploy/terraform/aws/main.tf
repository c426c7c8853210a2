# Leat on EC2, RDS and S3: nodes in an autoscaling group behind a network load balancer. They keep nothing on their disks, so
# that a node that is gone is replaced by a new one.
#
# On EC2 and not on ECS, since a node has to tell the others its own address: here user data knows it.

data "aws_region" "here" {}

data "aws_vpc" "this" {
  id = var.vpc_id
}

data "aws_ssm_parameter" "ami" {
  name = "/aws/service/debian/release/12/latest/amd64"
}

locals {
  http_port = 4567
  grpc_port = 4568
  region    = data.aws_region.here.name
}

# --- the bucket: records. No lifecycle rule may expire anything in it; Leat refuses to start where one would. ---

resource "aws_s3_bucket" "records" {
  bucket_prefix = "${var.name}-records-"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "records" {
  bucket                  = aws_s3_bucket.records.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "records" {
  bucket = aws_s3_bucket.records.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
}

# --- the database: where records are ---

resource "random_password" "postgres" {
  length  = 32
  special = false
}

resource "random_password" "token" {
  length  = 40
  special = false
}

resource "aws_db_subnet_group" "leat" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_security_group" "database" {
  name_prefix = "${var.name}-database-"
  vpc_id      = var.vpc_id
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = aws_security_group.database.id
  referenced_security_group_id = aws_security_group.node.id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_instance" "leat" {
  identifier                   = var.name
  engine                       = "postgres"
  engine_version               = "17"
  instance_class               = var.db_instance_class
  allocated_storage            = var.db_storage_gib
  max_allocated_storage        = 4 * var.db_storage_gib
  storage_type                 = "gp3"
  storage_encrypted            = true
  multi_az                     = true
  db_name                      = "leat"
  username                     = "leat"
  password                     = random_password.postgres.result
  db_subnet_group_name         = aws_db_subnet_group.leat.name
  vpc_security_group_ids       = [aws_security_group.database.id]
  backup_retention_period      = 14
  deletion_protection          = true
  performance_insights_enabled = true
  skip_final_snapshot          = false
  final_snapshot_identifier    = "${var.name}-final"
}

# --- what the nodes may and know ---

resource "aws_secretsmanager_secret" "leat" {
  name_prefix = "${var.name}-"
}

resource "aws_secretsmanager_secret_version" "leat" {
  secret_id = aws_secretsmanager_secret.leat.id
  secret_string = jsonencode({
    postgres   = "postgres://leat:${random_password.postgres.result}@${aws_db_instance.leat.endpoint}/leat?sslmode=verify-full&sslrootcert=/etc/leat/rds.pem"
    token      = random_password.token.result
    master_key = var.master_key
  })
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "node" {
  statement {
    actions   = ["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:GetLifecycleConfiguration"]
    resources = [aws_s3_bucket.records.arn]
  }
  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"]
    resources = ["${aws_s3_bucket.records.arn}/*"]
  }
  dynamic "statement" {
    for_each = length(var.delivery_buckets) > 0 ? [true] : []
    content {
      actions   = ["s3:ListBucket"]
      resources = [for bucket in var.delivery_buckets : "arn:aws:s3:::${bucket}"]
    }
  }
  dynamic "statement" {
    for_each = length(var.delivery_buckets) > 0 ? [true] : []
    content {
      actions   = ["s3:GetObject", "s3:PutObject"]
      resources = [for bucket in var.delivery_buckets : "arn:aws:s3:::${bucket}/*"]
    }
  }
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::${var.artifact_bucket}/${var.artifact_key}"]
  }
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.leat.arn]
  }
}

resource "aws_iam_role" "node" {
  name_prefix        = "${var.name}-node-"
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

resource "aws_iam_role_policy" "node" {
  role   = aws_iam_role.node.id
  policy = data.aws_iam_policy_document.node.json
}

resource "aws_iam_instance_profile" "node" {
  name_prefix = "${var.name}-node-"
  role        = aws_iam_role.node.name
}

# --- the nodes ---

resource "aws_security_group" "node" {
  name_prefix = "${var.name}-node-"
  vpc_id      = var.vpc_id
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each          = { for pair in setproduct(var.client_cidrs, [local.http_port, local.grpc_port]) : "${pair[0]}:${pair[1]}" => pair }
  security_group_id = aws_security_group.node.id
  cidr_ipv4         = each.value[0]
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  security_group_id = aws_security_group.node.id
  cidr_ipv4         = data.aws_vpc.this.cidr_block # health checks come from the balancer's own addresses
  ip_protocol       = "tcp"
  from_port         = local.http_port
  to_port           = local.http_port
}

resource "aws_vpc_security_group_ingress_rule" "nodes" {
  security_group_id            = aws_security_group.node.id
  referenced_security_group_id = aws_security_group.node.id
  ip_protocol                  = "tcp"
  from_port                    = local.grpc_port
  to_port                      = local.grpc_port
}

resource "aws_vpc_security_group_egress_rule" "node" {
  security_group_id = aws_security_group.node.id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "-1"
}

resource "aws_launch_template" "node" {
  name_prefix            = "${var.name}-"
  image_id               = data.aws_ssm_parameter.ami.value
  instance_type          = var.instance_type
  vpc_security_group_ids = [aws_security_group.node.id]
  update_default_version = true

  iam_instance_profile {
    arn = aws_iam_instance_profile.node.arn
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  user_data = base64encode(templatefile("${path.module}/user-data.sh.tftpl", {
    artifact = "s3://${var.artifact_bucket}/${var.artifact_key}"
    sha256   = var.artifact_sha256
    secret   = aws_secretsmanager_secret.leat.arn
    region   = local.region
    bucket   = aws_s3_bucket.records.bucket
    profile  = var.profile
    share    = var.share_shards
    unit     = file("${path.module}/../../systemd/leat.service")
  }))
}

resource "aws_autoscaling_group" "nodes" {
  name_prefix               = "${var.name}-"
  min_size                  = var.nodes
  max_size                  = 2 * var.nodes # room for a refresh
  desired_capacity          = var.nodes
  vpc_zone_identifier       = var.subnet_ids
  target_group_arns         = [aws_lb_target_group.http.arn, aws_lb_target_group.grpc.arn]
  health_check_type         = var.share_shards ? "ELB" : "EC2" # a node that stands by is not ready
  health_check_grace_period = 180

  launch_template {
    id      = aws_launch_template.node.id
    version = aws_launch_template.node.latest_version
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 150
      instance_warmup        = 60
    }
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }

  depends_on = [aws_secretsmanager_secret_version.leat]
}

# --- the way in ---

resource "aws_lb" "leat" {
  name                             = var.name
  internal                         = true
  load_balancer_type               = "network"
  subnets                          = var.subnet_ids
  enable_cross_zone_load_balancing = true
}

resource "aws_lb_target_group" "http" {
  name                 = "${var.name}-http"
  port                 = local.http_port
  protocol             = "TCP"
  vpc_id               = var.vpc_id
  deregistration_delay = 20
  health_check {
    protocol            = "HTTP"
    path                = "/readyz"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_target_group" "grpc" {
  name                 = "${var.name}-grpc"
  port                 = local.grpc_port
  protocol             = "TCP"
  vpc_id               = var.vpc_id
  deregistration_delay = 20
  health_check {
    protocol            = "HTTP"
    port                = local.http_port
    path                = "/readyz"
    interval            = 5
    timeout             = 3
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.leat.arn
  port              = local.http_port
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.http.arn
  }
}

resource "aws_lb_listener" "grpc" {
  load_balancer_arn = aws_lb.leat.arn
  port              = local.grpc_port
  protocol          = "TCP"
  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.grpc.arn
  }
}
