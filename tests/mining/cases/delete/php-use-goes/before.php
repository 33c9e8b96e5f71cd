<?php

use App\Cart;
use App\Old;

$cart = new Cart();
