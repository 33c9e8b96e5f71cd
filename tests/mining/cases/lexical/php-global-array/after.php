<?php
$name = $request->query('name');
