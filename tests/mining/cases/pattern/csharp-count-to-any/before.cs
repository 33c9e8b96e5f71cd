class A
{
    void F()
    {
        if (items.Count() > 0)
        {
            G();
        }
    }
}
