<?php
$this->mailer->send($text, 3);
