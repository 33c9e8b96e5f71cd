<?php
if (str_contains($text, '@')) {
    send($text);
}
