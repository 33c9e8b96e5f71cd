<?php

class Shelf
{
    /**
     * All labels as an array.
     *
     * @return array
     */
    public function labels()
    {
        return [];
    }
}
