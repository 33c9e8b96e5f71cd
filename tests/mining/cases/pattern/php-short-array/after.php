<?php
$sizes = [1, 2, 3];
