<?php

class Shelf
{
    /**
     * All labels as an array.
     *
     * @return string[]
     */
    public function labels()
    {
        return [];
    }
}
