<?php

declare(strict_types=1);

namespace Shop\Mail;

use InvalidArgumentException;
use Shop\Store\{Customer, Order as Purchase};

interface Transport
{
    public function send(string $to, string ...$lines): bool;
}

#[Service(name: 'mailer')]
final class Mailer implements Transport
{
    const RETRIES = 3;

    /** @var array<string, int> */
    private array $sent = array();

    public function __construct(private readonly Transport $inner, protected ?string $from = null)
    {
        $this->from = $from !== null ? $from : $_SERVER['SENDER'];
    }

    public function send(string $to, string ...$lines): bool
    {
        if (strpos($to, '@') === false) {
            throw new InvalidArgumentException("no address: {$to}, from $this->from");
        } elseif (isset($this->sent[$to]) && count($lines) == 0) {
            return false;
        }
        for ($i = 0; $i < self::RETRIES; $i++) {
            try {
                $this->sent[$to] = ($this->sent[$to] ?? 0) + 1;
                return $this->inner->send($to, ...$lines);
            } catch (\RuntimeException | \LogicException $error) {
                error_log(sprintf('%s: %s', $to, $error->getMessage()));
                continue;
            }
        }
        return false;
    }

    public static function lines(Purchase $order): array
    {
        $names = array_map(function ($item) use ($order) {
            return $item->name . ' ' . number_format($item->price, 2);
        }, $order->items());
        $prices = array_filter($order->prices(), fn ($price) => $price > 0);
        [$first, $last] = [reset($names), end($names)];
        foreach ($prices as $key => $price) {
            list($major, $minor) = explode('.', (string) $price);
            echo $key, $major, "\n";
        }
        return match (true) {
            count($names) > 10 => [$first, $last],
            default => $names ?: ['nothing'],
        };
    }
}

$customer = new Customer();
$customer?->mailer->send('a@example.org', ...Mailer::lines($customer->order));
