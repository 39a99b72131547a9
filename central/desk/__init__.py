"""The front desk: a card that is tapped there becomes a member's, without anybody typing its number."""
