<?php
if (strpos($text, '@') !== false) {
    send($text);
}
