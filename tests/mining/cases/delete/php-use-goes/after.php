<?php

use App\Cart;

$cart = new Cart();
