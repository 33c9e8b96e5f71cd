<?php
$this->mailer->post($text, 3);
