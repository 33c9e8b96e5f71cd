<?php
$sizes = array(1, 2, 3);
