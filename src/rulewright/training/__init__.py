"""SFT and GRPO on TRL; models, data and configurations for them."""
