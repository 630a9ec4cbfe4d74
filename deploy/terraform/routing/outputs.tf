output "dns_name" {
  description = "The load balancer's name, for an alias or CNAME record."
  value       = aws_lb.public.dns_name
}

output "zone_id" {
  description = "The hosted zone of that name, for an alias record."
  value       = aws_lb.public.zone_id
}

output "security_group_id" {
  description = "The load balancer's security group, which the gateway lets in."
  value       = aws_security_group.alb.id
}

output "target_group_arn" {
  description = "The group in which the gateway's tasks register."
  value       = aws_lb_target_group.gateway.arn
  # ECS refuses a group that no listener uses yet.
  depends_on = [aws_lb_listener_rule.gateway]
}

output "request_count_label" {
  description = "The load balancer and its target group, as autoscaling on requests names them."
  value       = "${aws_lb.public.arn_suffix}/${aws_lb_target_group.gateway.arn_suffix}"
}

output "https_listener_arn" {
  description = "The HTTPS listener, for more certificates."
  value       = aws_lb_listener.https.arn
}
