resource "aws_cloudwatch_log_group" "gateway" {
  #checkov:skip=CKV_AWS_158:encrypted with the account's own key where kms_key_arn names one, else with CloudWatch's
  #checkov:skip=CKV_AWS_338:how long logs are kept is a decision on personal data (log_retention_days)
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}
