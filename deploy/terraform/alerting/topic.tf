# Whom the alarms tell.
resource "aws_sns_topic" "alarms" {
  #checkov:skip=CKV_AWS_26:the key that AWS has for SNS does not let CloudWatch publish: encrypted where kms_key_arn names one; alarms have no secrets
  name              = "${var.service}-${var.env}-alarms"
  kms_master_key_id = var.kms_key_arn
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}

# What the gateway tells of itself, by EMF.
module "alarms" {
  source = "../alarms"

  service       = var.service
  env           = var.env
  alarm_actions = [aws_sns_topic.alarms.arn]
}
